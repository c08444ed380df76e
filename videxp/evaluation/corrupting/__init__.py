"""What the robustness axis is made of: figures under corruptions and attacks, kept as they come, and their pictures."""
