# SPDX-License-Identifier: Apache-2.0
"""One module a verb: HELP, ``add_arguments(parser)`` and ``run(args)`` that returns the status."""
