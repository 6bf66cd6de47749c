"""Models that older Kerases write to files, with their own answers, and the judge that reads the files again."""
