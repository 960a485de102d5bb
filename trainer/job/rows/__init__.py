"""From the lines of a training file to tokens and labels."""
