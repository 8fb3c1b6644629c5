"""What a person sees in the terminal: progress, tables, sentences. No science in it."""
