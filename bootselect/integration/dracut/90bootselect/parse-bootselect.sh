#!/bin/sh
# shellcheck disable=SC2034,SC2154  # dracut sets root and reads rootok
[ "$root" = bootselect ] && rootok=1
