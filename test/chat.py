#!/usr/bin/env python3
"""Compares `ptq tokenize --chat --render` with transformers on the chat templates of a folder.

    [PTQ=build/ptq] chat.py FOLDER       FOLDER has *.jinja files, such as models/templates of llama.cpp

Needs transformers and jinja2. Every template renders the conversations of chat_models.py in both ways: the
texts are equal, or both refuse, with the template's own message if it has one. A failure shows the template,
the number of the conversation and both results. The last line is: N passed, N failed, N skipped.
"""

import datetime
import glob
import json
import os
import subprocess
import sys
import tempfile

try:
    from transformers.utils import chat_template_utils
except ImportError:
    print("SKIPPED: no python3 with transformers\n0 passed, 0 failed, 1 skipped")
    sys.exit(0)

import chat_models

NOW = 1700000000


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)


chat_template_utils.datetime = Clock
PTQ = os.environ.get("PTQ", "build/ptq")


def by_transformers(template, messages, prompt):
    """The text, and the message of an error."""
    try:
        messages = chat_template_utils._normalize_chat_messages(messages)
        texts, _ = chat_template_utils.render_jinja_template(
            [messages], chat_template=template, add_generation_prompt=prompt, **chat_models.TOKENS)
        return texts[0], None
    except Exception as error:
        return None, str(error) if type(error).__name__ == "TemplateError" else ""


def by_ptq(directory, messages, prompt):
    command = [PTQ, "tokenize", directory, "--chat", "--render"] + ([] if prompt else ["--no-generation-prompt"])
    environment = dict(os.environ, SOURCE_DATE_EPOCH=str(NOW))
    run = subprocess.run(command, input=json.dumps(messages), capture_output=True, text=True, env=environment)
    if run.returncode not in (0, 1):
        return None, "exit status %d" % run.returncode
    return (json.loads(run.stdout), None) if run.returncode == 0 else (None, run.stderr.strip())


def main():
    passed, failed = 0, 0
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.jinja"))):
        with open(path, encoding="utf-8", newline="") as file:
            template = file.read()
        with tempfile.TemporaryDirectory() as directory:
            with open(os.path.join(directory, "chat_template.jinja"), "w", encoding="utf-8", newline="") as file:
                file.write(template)
            with open(os.path.join(directory, "tokenizer_config.json"), "w", encoding="utf-8") as file:
                json.dump(chat_models.TOKENS, file)
            for number, (messages, prompt) in enumerate(chat_models.CONVERSATIONS):
                text, error = by_transformers(template, messages, prompt)
                ours, message = by_ptq(directory, messages, prompt)
                same = ours == text and (error is None or (message.startswith("ptq: ") and message.endswith(error)))
                passed, failed = passed + same, failed + (not same)
                if not same:
                    print("FAILED: %s, conversation %d:\n    ptq: %r\n    transformers: %r" % (
                        os.path.basename(path), number, ours if message is None else message,
                        text if error is None else "an error: " + error))
    if not passed and not failed:
        print("SKIPPED: no templates in %s\n0 passed, 0 failed, 1 skipped" % sys.argv[1])
        return 0
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return failed != 0


sys.exit(main())
