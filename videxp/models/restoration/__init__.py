"""Networks that give a clip back better than it came."""
