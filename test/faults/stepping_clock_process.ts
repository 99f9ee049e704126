/** Loaded before the gateway: its wall clock is as many ms off as the file of CLOCK_FILE says. Its monotonic clock is right. */
import { readFileSync } from 'node:fs';

const file = process.env.CLOCK_FILE ?? '';
const RealDate = Date;
let offset = 0;
setInterval(() => {
  offset = Number(readFileSync(file, 'utf8')) || 0;
}, 10).unref();

const now = (): number => RealDate.now() + offset;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args: unknown[], newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  get: (target, name, receiver) => (name === 'now' ? now : Reflect.get(target, name, receiver)),
});
