"""Which labels of a data set are likely wrong: by confident learning, and by pictures that carry two labels."""
