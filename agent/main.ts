#!/usr/bin/env node
/** The program `tieline`. */
import { interruption } from '../drivers/process/signals.ts'
import { processTerminal } from './cli/terminal.ts'
import { tieline } from './cli/tieline.ts'

process.exitCode = await tieline(process.argv.slice(2), processTerminal(), interruption())
