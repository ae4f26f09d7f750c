/** The GPIO character device: its structs against the C compiler, and the driver against a chip made of C. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drainPromises } from '../../../drivers/drain.ts'
import { koffi } from '../../../drivers/native/ffi.ts'
import { loadLibc } from '../../../drivers/native/libc.ts'
import { type ChipCalls, openGpioChip, systemCalls } from '../../../drivers/relays/gpio-chip.ts'
import { GPIO_IOCTL, LINE_FLAG, SIZE } from '../../../drivers/relays/gpio-structs.ts'
import { openGpioRelays } from '../../../drivers/relays/johnny-five.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { fail, must, ok } from '../../../protocol/result.ts'
import { relayCases } from '../../contracts/relay.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('relays/gpio-chip')
const noHeader =
  spawnSync('gcc', ['--version']).status === 0 && existsSync('/usr/include/linux/gpio.h') ? undefined : 'no-gpio-header'

const folder = mkdtempSync(join(tmpdir(), 'tieline-gpio-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

/** What gcc makes of the kernel's own header. */
function compiled(expressions: readonly string[]): readonly number[] {
  const source = join(folder, 'layout.c')
  const print = expressions.map(one => `printf("%llu\\n", (unsigned long long)(${one}));`).join('\n')
  writeFileSync(source, `#include <linux/gpio.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void){${print}}\n`)
  execFileSync('gcc', ['-o', join(folder, 'layout'), source])
  return String(execFileSync(join(folder, 'layout')))
    .trim()
    .split('\n')
    .map(Number)
}

test.skipIf(noHeader, 'sizes, ioctl numbers and flags are those of the kernel header', () => {
  const said = compiled([
    ...['gpiochip_info', 'gpio_v2_line_info', 'gpio_v2_line_config', 'gpio_v2_line_request', 'gpio_v2_line_values'].map(
      name => `sizeof(struct ${name})`,
    ),
    'GPIO_GET_CHIPINFO_IOCTL',
    'GPIO_V2_GET_LINEINFO_IOCTL',
    'GPIO_V2_GET_LINE_IOCTL',
    'GPIO_V2_LINE_SET_CONFIG_IOCTL',
    'GPIO_V2_LINE_GET_VALUES_IOCTL',
    'GPIO_V2_LINE_SET_VALUES_IOCTL',
    'GPIO_V2_LINE_FLAG_USED',
    'GPIO_V2_LINE_FLAG_INPUT',
    'GPIO_V2_LINE_FLAG_OUTPUT',
  ])
  assert.equal(said, [...Object.values(SIZE), ...Object.values(GPIO_IOCTL), ...Object.values(LINE_FLAG).map(Number)])
})

/** A chip of three lines in C, over the kernel's own structs: 0 GPIO17, 1 GPIO27, 2 held by another program. */
const CHIP = `#include <linux/gpio.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
static int level[3], output[3], held[3], broken, wrong;
static const char *names[3] = {"GPIO17", "GPIO27", "TAKEN"};
static int config(int n, const struct gpio_v2_line_config *c) {
  if (c->flags == GPIO_V2_LINE_FLAG_INPUT) { output[n] = 0; level[n] = 0; return 0; }
  if (c->flags != GPIO_V2_LINE_FLAG_OUTPUT || c->num_attrs != 1) { errno = EINVAL; return -1; }
  if (c->attrs[0].attr.id != GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES || c->attrs[0].mask != 1) { errno = EINVAL; return -1; }
  output[n] = 1; level[n] = c->attrs[0].attr.values & 1; return 0;
}
int chip_level(int n) { return level[n]; }
int chip_output(int n) { return output[n]; }
int chip_held(int n) { return held[n]; }
int chip_errno(void) { return errno; }
void chip_break(int yes) { broken = yes; if (yes) for (int n = 0; n < 2; n++) if (output[n]) level[n] = 0; }
void chip_close(int fd) { if (fd >= 200) { held[fd - 200] = 0; output[fd - 200] = 0; level[fd - 200] = 0; } }
int chip_ioctl(int fd, unsigned long request, void *at) {
  if (fd == 100 && request == GPIO_GET_CHIPINFO_IOCTL) {
    struct gpiochip_info *i = at; strcpy(i->name, "gpiochip0"); strcpy(i->label, "made of C"); i->lines = 3; return 0;
  }
  if (fd == 100 && request == GPIO_V2_GET_LINEINFO_IOCTL) {
    struct gpio_v2_line_info *i = at; if (i->offset > 2) { errno = EINVAL; return -1; }
    strcpy(i->name, names[i->offset]);
    if (i->offset == 2) { strcpy(i->consumer, "fan"); i->flags = GPIO_V2_LINE_FLAG_USED | GPIO_V2_LINE_FLAG_OUTPUT; }
    return 0;
  }
  if (broken) { errno = EIO; return -1; }
  if (fd == 100 && request == GPIO_V2_GET_LINE_IOCTL) {
    struct gpio_v2_line_request *r = at; int n = r->offsets[0];
    if (r->num_lines != 1 || strcmp(r->consumer, "tieline")) { errno = EINVAL; return -1; }
    if (n == 2 || held[n]) { errno = EBUSY; return -1; }
    if (config(n, &r->config)) return -1;
    held[n] = 1; r->fd = 200 + n; return 0;
  }
  int n = fd - 200;
  if (n < 0 || n > 1 || !held[n]) { errno = EBADF; return -1; }
  if (request == GPIO_V2_LINE_SET_CONFIG_IOCTL) return config(n, at);
  struct gpio_v2_line_values *v = at;
  if (v->mask != 1) { errno = EINVAL; return -1; }
  if (request == GPIO_V2_LINE_GET_VALUES_IOCTL) { v->bits = level[n]; return 0; }
  if (request == GPIO_V2_LINE_SET_VALUES_IOCTL) {
    if (!output[n]) { errno = EPERM; return -1; }
    level[n] = v->bits & 1; return 0;
  }
  errno = ENOTTY; return -1;
}
`
let made = 0
/** A chip of its own, reached through the foreign function package. */
function chipOfC() {
  const source = join(folder, 'chip.c')
  const library = join(folder, `chip-${made++}.so`)
  writeFileSync(source, CHIP)
  execFileSync('gcc', ['-shared', '-fPIC', '-o', library, source])
  const c = koffi.load(library)
  const ioctl = c.func('int chip_ioctl(int fd, unsigned long request, void *at)')
  const errno = c.func('int chip_errno(void)')
  const close = c.func('void chip_close(int fd)')
  const calls: ChipCalls = {
    open: () => ok(100),
    close: fd => close(fd),
    ioctlBytes: (fd, request, bytes) =>
      ioctl(fd, request, bytes) === -1 ? fail({ code: 'native.call', call: 'ioctl', errno: errno() }) : ok(undefined),
  }
  return {
    calls,
    level: c.func('int chip_level(int n)') as (n: number) => number,
    output: c.func('int chip_output(int n)') as (n: number) => number,
    held: c.func('int chip_held(int n)') as (n: number) => number,
    cut: c.func('void chip_break(int yes)') as (yes: number) => void,
  }
}

test.skipIf(noHeader, 'the chip has a label, and a line its offset, whether it has a name or not', () => {
  const { calls } = chipOfC()
  const named = must(openGpioChip({ path: '/dev/gpiochip0', calls }))
  assert.equal([named.label, named.lines, named.lineAt(1)], ['made of C', ['GPIO17', 'GPIO27', 'TAKEN'], 'GPIO27'])
  // A kernel that has no names.
  const nameless: ChipCalls = {
    ...calls,
    ioctlBytes: (fd, request, bytes) => {
      const asked = calls.ioctlBytes(fd, request, bytes)
      if (request === GPIO_IOCTL.lineInfo) bytes.fill(0, 0, 32)
      return asked
    },
  }
  const chip = must(openGpioChip({ path: '/dev/gpiochip0', calls: nameless }))
  const line = chip.lineAt(1)!
  assert.equal([chip.lines, chip.lineAt(3)], [[], undefined])
  assert.ok(chip.setOutput(line, 1).ok)
  assert.equal(must(chip.read(line)), 1)
})

async function relayOn(chip: ReturnType<typeof chipOfC>) {
  const bank = must(openGpioChip({ path: '/dev/gpiochip0', calls: chip.calls }))
  const contacts = [{ name: 'L1.line', output: 'GPIO17', closedLevel: 1 }] as const
  const relays = must(await openGpioRelays({ bank, contacts, allowUnsupervised: true }))
  return { bank, relay: relays[0]! }
}

if (noHeader === undefined) {
  relayCases(
    test,
    'a chip made of C',
    async () => {
      const chip = chipOfC()
      const { clock, advance } = createSimTime(0, drainPromises)
      const { relay } = await relayOn(chip)
      let moves = 0
      let last = chip.level(0)
      const contact = () => (chip.level(0) === 1 ? ('closed' as const) : ('open' as const))
      const count = () => {
        if (chip.level(0) !== last) moves++
        last = chip.level(0)
      }
      const counted = { ...relay, command: (to: 'open' | 'closed') => relay.command(to).finally(count) }
      return {
        relay: counted,
        clock,
        contact,
        moves: () => moves,
        cut: off => chip.cut(off ? 1 : 0),
        pass: advance,
      }
    },
    0,
  )
}

test.skipIf(noHeader, 'an output comes with its level, and closing the bank lets every line go', async () => {
  const chip = chipOfC()
  const bank = must(openGpioChip({ path: '/dev/gpiochip0', calls: chip.calls }))
  assert.equal(bank.lines, ['GPIO17', 'GPIO27', 'TAKEN'])
  assert.is(bank.watchdogMs, undefined)
  must(bank.setOutput('GPIO17', 1))
  must(bank.setInput('GPIO27'))
  assert.equal([chip.output(0), chip.level(0), chip.output(1)], [1, 1, 0])
  assert.equal([must(bank.read('GPIO17')), must(bank.read('GPIO27'))], [1, 0])
  bank.close()
  bank.close()
  assert.equal([chip.held(0), chip.held(1)], [0, 0])
  const after = bank.setOutput('GPIO17', 1)
  assert.is(after.ok ? 'ok' : after.fault.code, 'gpio.closed')
})

test.skipIf(noHeader, 'a line that another holds is told with its holder, and one that is not there by name', () => {
  const bank = must(openGpioChip({ path: '/dev/gpiochip0', calls: chipOfC().calls }))
  const taken = bank.setOutput('TAKEN', 0)
  assert.equal(taken.ok ? [] : [taken.fault.code, taken.fault['by'], taken.fault['output']], ['gpio.busy', 'fan', true])
  const none = bank.setInput('GPIO99')
  assert.is(none.ok ? 'ok' : none.fault.code, 'gpio.no-such-line')
})

test('what is no chip, is not there or may not be opened is told by name', async () => {
  const calls = systemCalls(must(await loadLibc()))
  const codeOf = (path: string, by: ChipCalls = calls) => {
    const opened = openGpioChip({ path, calls: by })
    return opened.ok ? ['ok'] : [opened.fault.code, opened.fault['errno']]
  }
  assert.equal(codeOf('/dev/null'), ['gpio.not-a-chip', 'ENOTTY'])
  assert.equal(codeOf(join(folder, 'gpiochip9')), ['gpio.no-chip', undefined])
  const denied = { ...calls, open: () => fail({ code: 'gpio.open', errno: 'EACCES' }) }
  assert.equal(codeOf('/dev/gpiochip0', denied), ['gpio.permission', 'EACCES'])
})

test.run()
