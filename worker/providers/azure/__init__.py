"""Azure OpenAI and Microsoft Foundry."""
