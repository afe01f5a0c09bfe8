"""What is counted of texts and their labels, and the words that are chosen from it."""
