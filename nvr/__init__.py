"""nvr records JVC VN-V685 / VN-V686 / VN-V686B pan-tilt-zoom network cameras, and accounts for every second."""

__version__ = "0.1.0"
