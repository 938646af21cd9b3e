"""How generated images are judged: by the features and the word of a classifier of the data set."""
