"""What an inspection writes: pictures, tables, files. Nothing here measures."""
