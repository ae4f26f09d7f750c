#!/usr/bin/env node
/** The program `tieline-ledger`. */
import { createSystemTime } from '../../drivers/clock.ts'
import { processTerminal } from '../cli/terminal.ts'
import { tielineLedger } from './cli.ts'

const interrupted = new Promise<void>(resolve => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
})
const { clock, timers } = createSystemTime()
process.exitCode = await tielineLedger(process.argv.slice(2), {
  terminal: processTerminal(),
  clock,
  timers,
  interrupted,
})
