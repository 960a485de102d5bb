"""Together AI's wire: files by a signed URL, jobs at `/fine-tunes`, lists without pages."""
