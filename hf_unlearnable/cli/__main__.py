"""`python -m hf_unlearnable.cli`."""

import sys

from hf_unlearnable.cli import main

sys.exit(main())
