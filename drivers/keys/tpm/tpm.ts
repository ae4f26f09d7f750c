/** One TPM: its commands one after the other, those that it was too busy for again. */
import { fail, ok, type Result } from '../../../protocol/result.ts'
import { startup } from '../../../protocol/tpm/commands.ts'
import { readResponse, type TpmCommand, writeCommand } from '../../../protocol/tpm/frame.ts'
import type { Clock, Timers } from '../../ports.ts'
import { createTpmDevice } from './device.ts'
import { createTpmSocket } from './socket.ts'
import type { TpmTransport } from './transport.ts'

export interface Tpm {
  /** What a person calls it. */
  readonly name: string
  /** A kernel keeps its users apart. */
  readonly managed: boolean
  /** Answers within the command's time once its turn has come. */
  run<T>(command: TpmCommand<T>): Promise<Result<T>>
  /** Every command is a fault from then on. */
  close(): Promise<void>
}

export interface TpmTime {
  readonly clock: Clock
  readonly timers: Timers
}

/** A busy TPM is asked again after this long, then after twice as long, ... */
const FIRST_WAIT_MS = 10
const LONGEST_WAIT_MS = 500
/** A fake that answers "busy" at once forever is asked this often at most, whatever the clock does. */
const TRIES = 200

/**
 * `/dev/tpmrm0`; or a TPM's own socket, for an emulator: `unix:/path` or `tcp:host:port`. Undefined for what is none of these.
 */
function transportOf(where: string, timers: Timers): TpmTransport | undefined {
  if (where.startsWith('/dev/')) return createTpmDevice(where, timers)
  const [, path] = /^unix:(\/.+)$/.exec(where) ?? []
  if (path !== undefined) return createTpmSocket(where, { path }, timers)
  const [, host, port] = /^tcp:(.+):(\d{1,5})$/.exec(where) ?? []
  if (host === undefined || Number(port) > 0xffff) return undefined
  return createTpmSocket(where, { host, port: Number(port) }, timers)
}

interface SharedTpm {
  readonly tpm: Tpm
  users: number
}

/** What is open, by its place. A TPM without a manager, as /dev/tpm0 or an emulator, serves one opening at a time. */
const shared = new WeakMap<Timers, Map<string, SharedTpm>>()

/** Nothing is sent yet; where nothing is there, the first command says so. All keys in one TPM share its opening. */
export function openTpm(where: string, time: TpmTime): Result<Tpm> {
  const open = shared.get(time.timers) ?? new Map<string, SharedTpm>()
  shared.set(time.timers, open)
  let known = open.get(where)
  if (known === undefined) {
    const transport = transportOf(where, time.timers)
    if (transport === undefined) {
      return fail({ code: 'tpm.address', where, hint: 'name /dev/tpmrm0, unix:/path or tcp:host:port' })
    }
    known = { tpm: createTpm(transport, time), users: 0 }
    open.set(where, known)
  }
  const mine = known
  mine.users++
  let closed = false
  return ok({
    ...mine.tpm,
    run: command => (closed ? Promise.resolve(fail({ code: 'tpm.closed', device: where })) : mine.tpm.run(command)),
    close: async () => {
      if (closed) return
      closed = true
      mine.users--
      if (mine.users > 0) return
      open.delete(where)
      await mine.tpm.close()
    },
  })
}

function createTpm(transport: TpmTransport, { clock, timers }: TpmTime): Tpm {
  let turn: Promise<unknown> = Promise.resolve()
  let closed = false

  async function once<T>(command: TpmCommand<T>, withinMs: number): Promise<Result<T>> {
    if (closed) return fail({ code: 'tpm.closed', device: transport.name })
    const response = await transport.exchange(writeCommand(command), withinMs)
    return response.ok ? readResponse(command, response.value) : response
  }

  async function run<T>(command: TpmCommand<T>): Promise<Result<T>> {
    const until = clock.mono() + command.withinMs
    let started = false
    for (let tries = 1, wait = FIRST_WAIT_MS; ; tries++) {
      const answer = await once(command, Math.max(1, until - clock.mono()))
      if (answer.ok) return answer
      if (answer.fault.code === 'tpm.not-started' && !transport.managed && !started) {
        // An emulator that lost its power, or was never started: nobody else does it.
        started = true
        const start = await once(startup(), Math.max(1, until - clock.mono()))
        if (!start.ok) return start
        continue
      }
      if (answer.fault.code !== 'tpm.busy') return answer
      if (tries === TRIES || clock.mono() + wait >= until) return fail({ ...answer.fault, tries })
      await timers.sleep(wait)
      wait = Math.min(2 * wait, LONGEST_WAIT_MS)
    }
  }

  return {
    name: transport.name,
    managed: transport.managed,
    run: command => {
      const mine = turn.then(() => run(command))
      turn = mine.catch(() => {})
      return mine
    },
    close: () => {
      closed = true
      return transport.close()
    },
  }
}
