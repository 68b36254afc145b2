"""Strangers' files are parsed in processes of their own, which can do nothing but read the file and write samples."""
