#!/usr/bin/env node
/** The program behind `npm run sim`. */
import { processTerminal } from '../../agent/cli/terminal.ts'
import { tielineSim } from './cli.ts'

process.exitCode = await tielineSim(process.argv.slice(2), processTerminal())
