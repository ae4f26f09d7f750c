#!/usr/bin/env node
/** The program `tieline-bench`. */
import { processTerminal } from '../../agent/cli/terminal.ts'
import { interruption } from '../../drivers/process/signals.ts'
import { tielineBench } from './cli.ts'

process.exitCode = await tielineBench(process.argv.slice(2), {
  terminal: processTerminal(),
  columns: () => (process.stderr.isTTY ? process.stderr.columns : undefined),
  interruption,
})
