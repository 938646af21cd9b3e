"""HTTP/1.1 above llhttp's parser: connections, requests and responses, who may ask."""
