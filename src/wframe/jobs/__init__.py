"""Jobs: which ones an edition has, where their files are, what each rule passes to its command, and what they cost."""
