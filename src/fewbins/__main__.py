# SPDX-License-Identifier: Apache-2.0
"""`python -m fewbins` is the program `fewbins`."""

from fewbins.cli import main

if __name__ == "__main__":
    main()
