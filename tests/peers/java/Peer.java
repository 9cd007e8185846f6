// Java's TLS, as client or server, for tests: one line of output a fact.
//
//     java Peer.java client PORT TIMES  |  java Peer.java server TIMES
//
// System properties: trust (a certificate, PEM), keys (a PKCS #12 file, password "mungos"), suites, protocols,
// alpn, needs (a server that demands a certificate), name (the server's name), size (bytes echoed).

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

class Peer {
    static final char[] PASSWORD = "mungos".toCharArray();

    public static void main(String[] arguments) throws Exception {
        SSLContext context = context();
        int times = Integer.parseInt(arguments[arguments.length - 1]);
        if (arguments[0].equals("client")) {
            for (int i = 0; i < times; i++) {
                talk(context, Integer.parseInt(arguments[1]));
            }
        } else {
            serve(context, times);
        }
        say("done");
    }

    static void talk(SSLContext context, int port) throws Exception {
        try (Socket below = new Socket(InetAddress.getByName("127.0.0.1"), port)) {
            String name = System.getProperty("name", "localhost");
            SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(below, name, port, true);
            SSLParameters parameters = parameters(socket.getSSLParameters());
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.startHandshake();
            byte[] sent = new byte[Integer.getInteger("size", 1000)];
            for (int i = 0; i < sent.length; i++) {
                sent[i] = (byte) (i % 251);
            }
            Thread writer = new Thread(() -> {
                try {
                    socket.getOutputStream().write(sent);
                } catch (IOException error) {
                    say("failed " + error);
                }
            });
            writer.start();
            byte[] got = socket.getInputStream().readNBytes(sent.length);
            writer.join();
            describe(socket);
            say("echoed " + got.length + " " + Arrays.equals(sent, got));
            socket.shutdownOutput();
            say("end " + socket.getInputStream().read());
            socket.close();
        } catch (IOException error) {
            say("failed " + error);
        }
    }

    static void serve(SSLContext context, int times) throws Exception {
        InetAddress here = InetAddress.getByName("127.0.0.1");
        try (SSLServerSocket listening =
                (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0, 5, here)) {
            SSLParameters parameters = parameters(listening.getSSLParameters());
            parameters.setNeedClientAuth(Boolean.getBoolean("needs"));
            listening.setSSLParameters(parameters);
            say("listening " + listening.getLocalPort());
            for (int i = 0; i < times; i++) {
                try (SSLSocket socket = (SSLSocket) listening.accept()) {
                    socket.startHandshake();
                    describe(socket);
                    InputStream in = socket.getInputStream();
                    OutputStream out = socket.getOutputStream();
                    long echoed = in.transferTo(out);
                    say("end after " + echoed);
                } catch (IOException error) {
                    say("failed " + error);
                }
            }
        }
    }

    static void describe(SSLSocket socket) throws Exception {
        SSLSession session = socket.getSession();
        say("protocol " + session.getProtocol());
        say("suite " + session.getCipherSuite());
        say("alpn " + socket.getApplicationProtocol());
        say("created " + session.getCreationTime());
        try {
            say("subject " + ((X509Certificate) session.getPeerCertificates()[0]).getSubjectX500Principal());
        } catch (javax.net.ssl.SSLPeerUnverifiedException none) {
            say("subject none");
        }
    }

    static SSLParameters parameters(SSLParameters parameters) {
        parameters.setProtocols(System.getProperty("protocols", "TLSv1.3").split(","));
        String suites = System.getProperty("suites");
        if (suites != null) {
            parameters.setCipherSuites(suites.split(","));
        }
        String alpn = System.getProperty("alpn");
        if (alpn != null) {
            parameters.setApplicationProtocols(alpn.split(","));
        }
        return parameters;
    }

    static SSLContext context() throws Exception {
        SSLContext context = SSLContext.getInstance("TLS");
        KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
        String shown = System.getProperty("keys");
        keys.init(shown == null ? null : store(shown), PASSWORD);
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        KeyStore roots = KeyStore.getInstance("PKCS12");
        roots.load(null, null);
        try (InputStream file = new FileInputStream(System.getProperty("trust"))) {
            roots.setCertificateEntry("root", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        trust.init(roots);
        context.init(shown == null ? null : keys.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
    }

    static KeyStore store(String path) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream file = new FileInputStream(path)) {
            store.load(file, PASSWORD);
        }
        return store;
    }

    static synchronized void say(String fact) {
        System.out.println(fact);
        System.out.flush();
    }
}
