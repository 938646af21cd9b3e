"""Parts of the contact sheet: what it says of data sets and models, pictures, numbers, and the page."""
