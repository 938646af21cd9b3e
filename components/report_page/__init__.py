"""Parts of the report: what it says of data sets and models, pictures, numbers, and the page."""
