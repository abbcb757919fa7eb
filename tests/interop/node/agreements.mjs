// What associations can agree on: an asynchronous operations window, TLS, a user identity. Usage:
// node agreements.mjs OPTIONS, where OPTIONS is JSON.
//   port, window [invoked, performed], tls { key, cert, ca, requestCert, rejectUnauthorized } with names of files
// As SCU it sends `count` C-ECHO, as many at once as it may, and prints what was agreed on and the order of responses.
//   called, count, identity { type, primaryField, secondaryField, positiveResponseRequested }
// As SCP, where `listen` is set, it answers requests in reverse order, `hold` of them at once.
//   hold, known (the one identity that it lets in), response (to an identity)
import { readFileSync } from 'node:fs';
import dcmjsDimse from 'dcmjs-dimse';

const { Client, Scp, Server, constants, requests, responses } = dcmjsDimse;
const { PresentationContextResult, RejectReason, RejectResult, RejectSource, Status } = constants;
const options = JSON.parse(process.argv[2]);

function securityOptions() {
  if (!options.tls) {
    return undefined;
  }
  const { key, cert, ca, ...flags } = options.tls;
  const files = Object.entries({ key, cert, ca }).filter(([, path]) => path);
  return { ...flags, ...Object.fromEntries(files.map(([name, path]) => [name, readFileSync(path)])) };
}

function report(facts) {
  console.log(`REPORT ${JSON.stringify(facts)}`);
}

function narrower(proposed, ours) {
  return proposed === 0 ? ours : Math.min(proposed, ours);
}

function sendAll() {
  const client = new Client();
  const order = [];
  let agreed;
  const echoes = Array.from({ length: options.count }, (_, index) => {
    const request = new requests.CEchoRequest();
    request.on('response', (response) => {
      order.push(response.getStatus() === Status.Success ? index : -1);
    });
    return request;
  });
  client.on('associationAccepted', (association) => {
    agreed = [association.getMaxAsyncOpsInvoked(), association.getMaxAsyncOpsPerformed()];
    // Left to itself it sends a request when the one before has been answered. The first is sent after this event.
    setImmediate(() => echoes.slice(1).forEach((request) => client.network.sendRequests(request)));
    report({ window: agreed, identityResponse: association.getUserIdentityServerResponse() });
  });
  client.on('associationRejected', (result) => report({ rejected: result }));
  client.on('networkError', (error) => report({ failed: String(error.code ?? error.message ?? error) }));
  client.on('closed', () => {
    report({ order });
    process.exit(order.length === options.count && !order.includes(-1) ? 0 : 1);
  });
  client.addRequest(echoes[0]);
  const [invoked, performed] = options.window ?? [1, 1];
  client.send('127.0.0.1', options.port, 'DCMJS', options.called, {
    asyncOps: { maxAsyncOpsInvoked: invoked, maxAsyncOpsPerformed: performed },
    userIdentity: options.identity,
    securityOptions: securityOptions(),
  });
}

class AgreeingScp extends Scp {
  constructor(...details) {
    super(...details);
    this.held = [];
  }

  associationRequested(association) {
    if (options.known !== undefined && association.getUserIdentityPrimaryField() !== options.known) {
      this.sendAssociationReject(RejectResult.Permanent, RejectSource.ServiceUser, RejectReason.NoReasonGiven);
      return;
    }
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      context.setResult(PresentationContextResult.Accept, context.getTransferSyntaxUids()[0]);
    }
    const [invoked, performed] = options.window ?? [1, 1];
    association.setMaxAsyncOpsInvoked(narrower(association.getMaxAsyncOpsInvoked(), invoked));
    association.setMaxAsyncOpsPerformed(narrower(association.getMaxAsyncOpsPerformed(), performed));
    if (options.response !== undefined && association.getUserIdentityPositiveResponseRequested()) {
      association.setUserIdentityServerResponse(options.response);
      association.setNegotiateUserIdentityServerResponse(true);
    }
    this.sendAssociationAccept();
  }

  hold(answer) {
    this.held.push(answer);
    report({ held: this.held.length });
    if (this.held.length >= options.hold) {
      this.held.splice(0).reverse().forEach((each) => each());
    }
  }

  cEchoRequest(request, callback) {
    const response = responses.CEchoResponse.fromRequest(request);
    response.setStatus(Status.Success);
    this.hold(() => callback(response));
  }

  cStoreRequest(request, callback) {
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(Status.Success);
    this.hold(() => callback(response));
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

if (options.listen) {
  const server = new Server(AgreeingScp);
  server.on('networkError', (error) => console.error('network error:', error));
  server.listen(options.port, { securityOptions: securityOptions() });
} else {
  sendAll();
}
