/** The commands about a site's own keys: what they understand, and which function carries each out. */
import { dirname, resolve } from 'node:path'
import { faultLine } from '../../../protocol/result.ts'
import { type Command, program } from '../commander.ts'
import type { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import { misused } from '../usage.ts'

type Add = (name: string, description: string, examples: readonly string[]) => Command

const ALGS = { eddsa: 'EdDSA', es256: 'ES256' } as const
const USES = ['metering', 'ocmf'] as const
const REASONS = ['planned', 'moved', 'stolen', 'lost'] as const

interface Options {
  readonly config: string
  readonly json?: true
}

interface RotateArguments extends Options {
  readonly to?: string
  readonly alg?: string
  readonly reason: string
  readonly since?: string
}

export function addKeys(add: Add, terminal: Terminal, configFile: string, leave: (exit: ExitCode) => void): void {
  const key = add('key', "Make, show and change a site's keys.", [
    'tieline key init --config site.yaml',
    'tieline key show --json | jq .keys',
    'tieline key rotate metering --reason planned',
  ]).addHelpText('after', KEY_HELP)
  const sub = (name: string, description: string, examples: readonly string[]): Command => {
    const command = program(name, terminal, 'tieline key ')
      .description(description)
      .addHelpText('after', `\nExamples:\n${examples.map(example => `  ${example}\n`).join('')}`)
      .option('--config <file>', 'the configuration', configFile)
      .option('--json', 'one JSON object')
    key.addCommand(command)
    return command
  }

  sub('init', 'Make the keys that a configuration names and that are not there yet; none is ever overwritten.', [
    'tieline key init --config site.yaml',
    'systemd-run --pty -p LoadCredential=tieline-passphrase:/root/passphrase tieline key init',
  ])
    .option(
      '--alg <alg>',
      'of a new metering key: eddsa or es256; a file holds eddsa, a token or TPM es256 when left out',
    )
    .addHelpText('after', SHOW_JSON)
    .action(async (options: Options & { alg?: string }) => {
      const alg = readAlg(options.alg)
      if (alg === null) return leave(misused('key init', `${options.alg} is neither eddsa nor es256`, terminal))
      const { initKeys } = await import('./key-init.ts')
      leave(await initKeys(options.config, options.json === true, alg, terminal))
    })

  sub('show', 'Show the public keys, how well each private half is kept, and which keys signed before.', [
    'tieline key show --config site.yaml',
    'tieline key show --json | jq -r .device',
    'tieline key show --peer       the command that a neighbour runs to know this site',
    'tieline key show --enrol      the command by which a ledger gets to know its account and its meters',
  ])
    .option('--peer', 'print the `tieline peer` line for a neighbour instead')
    .option('--enrol', "print the `tieline-ledger enrol` line for a ledger's operator instead")
    .option('--insist', 'give a token its PIN although it warns that a wrong one was given before')
    .addHelpText('after', SHOW_JSON)
    .action(async (options: Options & { insist?: true; peer?: true; enrol?: true }) => {
      const [json, insist] = [options.json === true, options.insist === true]
      if (options.peer && options.enrol) return leave(misused('key show', 'either --peer or --enrol', terminal))
      if (options.peer || options.enrol) {
        const { tellOthers } = await import('./key-told.ts')
        return leave(await tellOthers(options.config, options.peer ? 'peer' : 'enrol', { json, insist }, terminal))
      }
      const { showKeys } = await import('./key-show.ts')
      leave(await showKeys(options.config, json, insist, terminal))
    })

  sub('rotate', 'Have another key sign from the next start on, and say so in the journal. The agent must not run.', [
    'tieline key rotate metering',
    'tieline key rotate metering --reason stolen --since 2026-11-01T10:00',
    'tieline key rotate metering --reason moved --to "{tpm: {handle: 0x81020001, auth_file: metering.auth}}"',
  ])
    .argument('<use>', 'metering or ocmf')
    .option(
      '--to <place>',
      'where the new key is to be, as under keys in the configuration; beside the old one when left out',
    )
    .option('--alg <alg>', 'eddsa or es256, as for init')
    .option(
      '--reason <why>',
      'planned, moved, stolen or lost; for a stolen or lost key, which need not be there, the account signs',
      'planned',
    )
    .option(
      '--since <time>',
      'of a stolen key: nothing that it signed since then is believed; from now on when left out',
    )
    .addHelpText('after', ROTATE_HELP)
    .action(async (named: string, options: RotateArguments) => {
      const wrong = (what: string) => leave(misused('key rotate', what, terminal))
      const use = USES.find(one => one === named)
      if (use === undefined) return wrong(NOT_ROTATED[named] ?? `${named} is neither metering nor ocmf`)
      const alg = readAlg(options.alg)
      if (alg === null) return wrong(`${options.alg} is neither eddsa nor es256`)
      const reason = REASONS.find(one => one === options.reason)
      if (reason === undefined) return wrong(`${options.reason} is none of ${REASONS.join(', ')}`)
      if (options.since !== undefined && reason !== 'stolen') return wrong('--since is for --reason stolen')
      const { parseMoment } = await import('../evidence/moment.ts')
      const { createSystemTime } = await import('../../../drivers/clock.ts')
      const now = createSystemTime().clock.now()
      const since = options.since === undefined ? undefined : parseMoment(options.since, now)
      if (since?.ok === false) return wrong(`--since: ${since.fault.hint}`)
      const { readKeyPlace } = await import('../../config/key-schema.ts')
      const to = options.to === undefined ? undefined : readKeyPlace(options.to)
      if (to?.ok === false) return wrong(`--to: ${faultLine(to.fault)}`)
      const { keyPlacedIn } = await import('../site-file.ts')
      const { rotateKey } = await import('./key-rotate.ts')
      leave(
        await rotateKey(
          use,
          {
            config: options.config,
            reason,
            json: options.json === true,
            ...(to === undefined ? {} : { to: keyPlacedIn(dirname(resolve(options.config)), to.value) }),
            ...(alg === undefined ? {} : { alg }),
            ...(since === undefined ? {} : { since: since.value }),
          },
          terminal,
        ),
      )
    })
}

/** Null for what is no algorithm. */
const readAlg = (text: string | undefined) =>
  text === undefined ? undefined : (ALGS[text as keyof typeof ALGS] ?? null)

/** Keys that are changed elsewhere, and where. */
const NOT_ROTATED: Readonly<Record<string, string>> = {
  account: 'an account changes its key on the ledger (rekey), and the device is named after its first one',
  sealing: 'a sealing key signs nothing: name another file, make it with `tieline key init`, and tell the neighbours',
}

const KEY_HELP = `
Private keys are kept in sealed files, behind PKCS#11 or in a TPM, as the configuration says under keys. The passphrase of the
files comes from passphrase_file there, from systemd (LoadCredential=tieline-passphrase), or from the person at the terminal.
`

const SHOW_JSON = `
With --json: {"ok":BOOLEAN,"site":NAME,"device":UEID or null,"keys":[...],"history":[...]}. A key is {"ok":true,"use":USE,
"place":TEXT,"alg":ALG,"public":HEX,"kid":HEX,"trust":LEVEL,"attestation":{"kind":KIND,"verified":BOOLEAN,"rule":TEXT,
"evidence":HEX}}, or {"ok":false,"use":USE,"place":TEXT,"fault":{"code":WHY,...}}; "verified" is false where the store's own
word is all there is. "history" holds what the journal says of keys, "record" being its signed bytes.
`

const ROTATE_HELP = `
Stopped at any moment, the same command goes on where it was. The old key stays where it is, and the agent refuses to sign with it.
With --json: {"ok":true,"use":USE,"place":TEXT,"number":N,"before":HEX,"key":HEX,"trust":LEVEL,"boot":N,"reason":WHY,
"statement":HEX}, or {"ok":false,"use":USE,"fault":{"code":WHY,...}}.
`
