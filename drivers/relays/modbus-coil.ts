/**
 * Relays on a Modbus relay board: closed for a time, where the board can, so that a contact opens by itself when nobody
 * renews it, and read back through its coil or register. That says what the relay's drive is, not where a welded contact
 * stands: the line meter sees that.
 */
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { ModbusMaster, WriteRequest } from '../modbus/master.ts'
import type { Observed, OnAgentDeath, Relay } from '../ports.ts'
import { COIL_BOARDS, type CoilBoardForm, type CoilBoardKind } from './coil-boards.ts'

export interface CoilContact {
  readonly name: string
  /** As printed on the board, from 1. */
  readonly channel: number
}

export interface CoilRelayOptions {
  readonly name: string
  readonly master: ModbusMaster
  readonly unit: number
  readonly contacts: readonly CoilContact[]
  /** `register-ms` where left out. */
  readonly board?: CoilBoardKind
  /** A contact opens this long after its last closing, rounded down to the board's steps. Absent: it closes for good. */
  readonly timedMs?: number
  /** Contacts that close for good stay closed when the agent dies: usable only when that is said here. */
  readonly allowUnsupervised?: boolean
}

/**
 * One deadline for every command: within the relay rank the master serves the earliest first, so that equal deadlines keep
 * the order of the commands, and an opening never overtakes the closing before it. Twice the master's longest wait for a
 * dead slave, so that none makes an opening expire.
 */
const COMMAND = { priority: 'relay', deadlineMs: 2000 } as const

/**
 * A look is a read like a meter's, with the master's whole defence against late answers, which a relay command gives up to
 * be sent at once. Its short deadline puts it before meters.
 */
const LOOK = { priority: 'read', deadlineMs: 500 } as const

/**
 * A closing names one of so many times, each a step shorter, so that its echo is not taken for one that was lost: a relay
 * whose command is in doubt opens. None is so short that what is renewed at half of the whole time would open.
 */
const TIMED_FORMS = 8
const SHORTEST_SHARE = 0.75

/**
 * A look whose answer could be an owed one asks for more, where the board has more: the answer is longer by a byte for eight
 * coils, and by two for a register.
 */
const LOOK_WIDER = { coils: [0, 8, 16, 24], registers: [0, 1, 2, 3] } as const
/** Exceptions by which a board refuses a function, coils that it does not have, or so many of them. */
const REFUSALS: ReadonlySet<unknown> = new Set([1, 2, 3])

/** The contacts of one board, in the order given. Sends nothing. */
export function coilRelays(options: CoilRelayOptions): Result<readonly Relay[]> {
  const { name, master, unit, contacts } = options
  const board: CoilBoardForm = COIL_BOARDS[options.board ?? 'register-ms']
  const timed = stepsOf(options, board)
  if (!timed.ok) return timed
  const steps = timed.value
  const wrong = contacts.find(
    ({ channel }) => !(Number.isInteger(channel) && channel >= 1 && channel <= board.channels),
  )
  if (wrong !== undefined)
    return fail({ code: 'coil.channel', board: name, contact: wrong.name, channel: wrong.channel })
  const onAgentDeath = deathOf(options, steps === undefined ? undefined : steps * board.timed!.stepMs)
  if (!onAgentDeath.ok) return onAgentDeath

  const addressOf = (channel: number) => channel - 1 + board.first
  const first = addressOf(Math.min(...contacts.map(({ channel }) => channel)))
  const count = addressOf(Math.max(...contacts.map(({ channel }) => channel))) - first + 1
  let joining: Promise<Result<readonly boolean[]>> | undefined

  /** The first look that is too wide for this board, and whether it refuses to be written several at once. */
  let tooWide = Number.POSITIVE_INFINITY
  let oneByOne = false

  async function lookOnce(): Promise<Result<readonly boolean[]>> {
    const fn = board.reads === 'coils' ? 1 : 3
    const forms = LOOK_WIDER[board.reads].filter(wider => wider < tooWide)
    const clear = forms.find(wider => !master.isMistakable(unit, { fn, address: first, count: count + wider }))
    const wider = clear ?? 0
    const seen = await readBoard(count + wider)
    if (wider > 0 && !seen.ok && REFUSALS.has(seen.fault['exception'])) tooWide = wider
    return seen
  }

  async function readBoard(many: number): Promise<Result<readonly boolean[]>> {
    if (board.reads === 'coils') return master.readCoils(unit, first, many, LOOK)
    const registers = await master.readRegisters(unit, 'holding', first, many, LOOK)
    if (!registers.ok) return registers
    const { bytes } = registers.value
    const values = Array.from({ length: count }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!)
    const wrong = values.find(value => value > 1)
    return wrong === undefined
      ? ok(values.map(value => value === 1))
      : fail({ code: 'coil.answer', board: name, received: wrong })
  }

  /** One read for all that look at the board in the same turn; a read that is on its way shows the past and is not joined. */
  function lookAtBoard(): Promise<Result<readonly boolean[]>> {
    joining ??= Promise.resolve().then(() => {
      joining = undefined
      return lookOnce()
    })
    return joining
  }

  /** Function 5 or 6, or where its echo could be an owed one 15 or 16; the second form only while no other command came after. */
  async function send(request: WriteRequest, isLast: () => boolean): Promise<Result<void>> {
    const other = oneByOne || !master.isMistakable(unit, request) ? undefined : otherForm(request)
    if (other !== undefined) {
      const answer = await master.write(unit, other, COMMAND)
      if (answer.ok || answer.fault.code !== 'modbus.exception') return answer
      oneByOne = REFUSALS.has(answer.fault['exception'])
      if (!isLast()) return answer
    }
    return master.write(unit, request, COMMAND)
  }

  /** One after the other; what a board does not know is for another. */
  async function open(at: number, isLast: () => boolean): Promise<Result<void>> {
    const [request, ...more] = board.open(at)
    let result = await send(request, isLast)
    for (const next of more) {
      if (!isLast()) return result
      const answer = await send(next, isLast)
      if (result.ok || REFUSALS.has(result.fault['exception'])) result = answer
    }
    return result
  }

  function close(at: number, isLast: () => boolean): Promise<Result<void>> {
    if (steps === undefined) return send(board.close(at, undefined), isLast)
    const least = Math.ceil(SHORTEST_SHARE * steps)
    const forms = Array.from({ length: Math.min(TIMED_FORMS, steps - least + 1) }, (_, i) => board.close(at, steps - i))
    return master.write(unit, forms.find(form => !master.isMistakable(unit, form)) ?? forms[0]!, COMMAND)
  }

  return ok(
    contacts.map(({ name: contact, channel }): Relay => {
      const at = addressOf(channel)
      let last = 0
      const command = (carryOut: typeof open) => {
        const mine = ++last
        return carryOut(at, () => mine === last)
      }
      return {
        name: contact,
        onAgentDeath: onAgentDeath.value,
        command: position => command(position === 'closed' ? close : open),
        async observe(): Promise<Observed> {
          const coils = await lookAtBoard()
          if (!coils.ok) return { seen: 'unknown', why: coils.fault }
          return { seen: coils.value[at - first] ? 'closed' : 'open' }
        },
        async close() {
          await command(open)
        },
      }
    }),
  )
}

/** The same write as one of several, with another answer. */
function otherForm(request: WriteRequest): WriteRequest | undefined {
  if (request.fn === 6) return { fn: 16, address: request.address, values: [request.value] }
  return request.fn === 5 && 'on' in request ? { fn: 15, address: request.address, bits: [request.on] } : undefined
}

/** How many of the board's steps a closing lasts, never longer than was asked for; undefined for good. */
function stepsOf({ name, timedMs }: CoilRelayOptions, { timed }: CoilBoardForm): Result<number | undefined> {
  if (timedMs === undefined) return ok(undefined)
  if (timed === undefined)
    return fail({ code: 'coil.not-timed', board: name, timedMs, hint: 'this kind of board closes for good' })
  const { stepMs, most } = timed
  const steps = Math.floor(timedMs / stepMs)
  if (Number.isInteger(timedMs) && steps >= 1 && steps <= most) return ok(steps)
  return fail({ code: 'coil.timed', board: name, timedMs, leastMs: stepMs, mostMs: most * stepMs })
}

function deathOf({ name, allowUnsupervised }: CoilRelayOptions, timedMs: number | undefined): Result<OnAgentDeath> {
  if (timedMs !== undefined) return ok({ kind: 'opens', withinMs: timedMs, by: `timed-on of ${name}` })
  if (allowUnsupervised === true) return ok({ kind: 'stays', allowUnsupervised: true })
  return fail({
    code: 'coil.unsupervised',
    board: name,
    hint: 'contacts on this board stay closed when the agent dies; say allowUnsupervised to accept that',
  })
}
