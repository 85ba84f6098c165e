"""Pictures: files, depth, color, sizes, and the recipes they carry."""
