#!/usr/bin/env node
/** The program `tieline-ledger`. */
import { createSystemTime } from '../../drivers/clock.ts'
import { interruption } from '../../drivers/process/signals.ts'
import { processTerminal } from '../cli/terminal.ts'
import { tielineLedger } from './cli.ts'

const { clock, timers } = createSystemTime()
process.exitCode = await tielineLedger(process.argv.slice(2), {
  terminal: processTerminal(),
  clock,
  timers,
  interrupted: interruption(),
})
