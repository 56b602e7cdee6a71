"""A consortium that outlives the command that started it: taken up, asked, taken down and resumed by its directory."""
