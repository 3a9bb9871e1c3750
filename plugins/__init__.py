"""The built-in passes, written as a third party would: they import only public names."""
