"""Video: clips and image sequences in and out, and styles that hold still while the picture moves."""
