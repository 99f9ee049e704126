/** For the environment of every process of the tests: what `bin/with-node` compiled once is not compiled again by each. */
import { join } from 'node:path';

export const compiled = {
  NODE_COMPILE_CACHE: join(import.meta.dirname, '..', '.cache', 'compiled'),
};
