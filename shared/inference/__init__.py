"""What asking models has used: tokens by project, model and day."""
