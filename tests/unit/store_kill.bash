#!/bin/bash
# Kills a process that changes a store at each system call that writes, and looks at what is left: a
# sound store, in the state after the last acknowledged step or after the next one.
# usage: store_kill.bash STORE_STEPS
set -u
tool=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
steps=9
for n in $(seq 0 $steps); do
	mkdir "$work/good"
	"$tool" run "$work/good" "$n" >"$work/told" && "$tool" dump "$work/good" >"$work/state.$n" || exit 1
	[ "$(wc -l <"$work/told")" -eq "$n" ] || exit 1
	rm -rf "$work/good"
done
kills=0
for call in openat mkdirat write pwrite64 fsync fdatasync msync ftruncate fallocate linkat unlinkat; do
	n=0
	while n=$((n + 1)); do
		rm -rf "$work/store"
		mkdir "$work/store"
		if strace -f -qq -o /dev/null -e "trace=$call" -e "inject=$call:signal=KILL:when=$n" \
			"$tool" run "$work/store" $steps >"$work/told" 2>/dev/null; then
			break # fewer than n such calls: all are done
		fi
		kills=$((kills + 1))
		done=$(tail -n 1 "$work/told")
		done=${done:-0}
		"$tool" dump "$work/store" >"$work/now" 2>&1 || {
			echo "kill at $call $n, after step $done:"
			cat "$work/now"
			exit 1
		}
		cmp -s "$work/now" "$work/state.$done" || cmp -s "$work/now" "$work/state.$((done + 1))" || {
			echo "kill at $call $n, after step $done: a state between"
			diff "$work/now" "$work/state.$done"
			exit 1
		}
	done
done
echo "$kills kills, each left a known state"
[ "$kills" -gt 50 ]
