"""Together AI's wire: files by a signed URL, jobs at `/v1/fine-tunes`, lists without pages, typed events."""
