#!/usr/bin/env -S node --max-semi-space-size=1 --optimize-for-size
/** The program `tieline`. The flags keep a light client below 80 MB on a board (`npm run bench:light` measures with and without). */
import { interruption } from '../drivers/process/signals.ts'
import { processTerminal } from './cli/terminal.ts'
import { tieline } from './cli/tieline.ts'

process.exitCode = await tieline(process.argv.slice(2), processTerminal(), interruption)
