"""`python -m hf_unlearnable`: the command line."""

import sys

from hf_unlearnable.cli import main

sys.exit(main())
