"""3D models painted like paintings: read, looked at, painted through their texture maps, written (the extra `mesh`)."""
