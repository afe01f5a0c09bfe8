"""Publishing: scan what would leave, check that it keeps what was promised, write the card, push it in one commit.

The data is staged on disk first, as the files that will be uploaded. A leak scan and the check of every value read
these files; whatever they find stops the push before the Hub hears of it. Then large files go up, and one commit shows
them all: until it does, the repository is what it was.

What the checks can see depends on what they are given. The originals tell whether a clean copy is anywhere and whether
the bound holds; the key tells what the secret is that must not be in there; a report tells what an attacker still
learns. One of the three must be there: nobody should publish as protected what never was.
"""

from hf_unlearnable.publish.findings import Finding, LeakError
from hf_unlearnable.publish.push import Published, push_protected

__all__ = ["Finding", "LeakError", "Published", "push_protected"]
