"""Words put into texts, byte for byte: where they may go, one text or a whole column at once, and out again."""
