#!/bin/sh
# shellcheck disable=SC2034  # dracut reads rootok
[ "$root" = bootselect ] && rootok=1
