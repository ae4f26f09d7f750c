/** `init`: what it understands, and which function carries each part out. */
import type { Command } from '../commander.ts'
import type { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import { misused } from '../usage.ts'
import type { BrokerOptions } from './broker/broker.ts'
import type { InitOptions } from './init.ts'

type Add = (name: string, description: string, examples: readonly string[]) => Command

export function addInit(add: Add, terminal: Terminal, configFile: string, leave: (exit: ExitCode) => void): void {
  add('init', 'Ask what a site has, and write its configuration; broken off, the same command goes on.', [
    'tieline init',
    'tieline init --config site.yaml',
    'tieline init --config site.yaml --answers answers.yaml --json',
    'tieline init --answers answers.yaml --print',
    'tieline init --broker elm oak --host hub.local --out broker',
  ])
    .argument('[sites...]', 'with --broker: the sites that it serves')
    .option('--config <file>', 'the configuration to write', configFile)
    .option('--answers <file>', 'lines of id: answer, where nobody is there to ask')
    .option('--broker', 'write a Mosquitto set-up with certificates for the sites named, or renew it')
    .option('--out <folder>', 'with --broker: where to', 'tieline-broker')
    .option('--host <name>', 'with --broker: a name or address of it, once or more (as before)', collect, [])
    .option('--port <n>', 'with --broker: where it listens (as before, or 8883)')
    .option('--print', 'show the configuration and write nothing')
    .option('--json', 'one JSON object')
    .addHelpText('after', INIT_HELP)
    .action(async (sites: string[], options: InitOptions & BrokerOptions & { broker?: true }) => {
      if (options.broker) {
        const { makeBroker } = await import('./broker/broker.ts')
        return leave(await makeBroker(sites, options, terminal))
      }
      if (sites.length > 0) return leave(misused('init', 'sites are named with --broker', terminal))
      const { init } = await import('./init.ts')
      leave(await init(options, terminal))
    })
}

const collect = (value: string, before: string[]): string[] => [...before, value]

const INIT_HELP = `
Answers that a file leaves out are those that a person would get by pressing Enter; an id that is needed is named. With --json:
{"ok":true,"file":FILE,"backup":FILE or null,"site":NAME,"role":ROLE,"readings":[...],"unproven":[TEXT,...],"next":[COMMAND,...]},
a reading being {"meter":NAME,"ok":true,"serial":TEXT,"values":[...]} or {"meter":NAME,"ok":false,"fault":{"code":WHY,...}}.
`
