"""AWS Bedrock «mantle»: a part of OpenAI's wire, with reinforcement by a Lambda function."""
