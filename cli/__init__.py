"""Parts of the command line: arguments, prompts, finding images, output folder, logs, run.json."""
