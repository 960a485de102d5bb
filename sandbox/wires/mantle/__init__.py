"""Bedrock mantle's wire: a part of OpenAI's, with a list that shows old statuses and graders that are Lambdas."""
