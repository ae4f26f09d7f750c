#!/usr/bin/env -S MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072 node --max-semi-space-size=1 --optimize-for-size --v8-pool-size=1
/** The program `tieline`. What stands before it keeps it small on a board: `npm run bench:footprint` and `bench:light` measure it. */
import { interruption } from '../drivers/process/signals.ts'
import { processTerminal } from './cli/terminal.ts'
import { tieline } from './cli/tieline.ts'

process.exitCode = await tieline(process.argv.slice(2), processTerminal(), interruption)
