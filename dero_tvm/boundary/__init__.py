"""The border to users: errors, printable names, files read with care and written whole."""
