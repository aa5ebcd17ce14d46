import com.adobe.epubcheck.api.EpubCheck;
import com.adobe.epubcheck.util.DefaultReportImpl;
import java.io.File;

/** Checks many books in one start of Java; EPUBCheck's own command takes one. */
public class EpubCheckMany {
    public static void main(String[] books) {
        int wrong = 0;
        for (String book : books) {
            DefaultReportImpl report = new DefaultReportImpl(book);
            wrong |= new EpubCheck(new File(book), report).doValidate();
            report.generate();
        }
        System.exit(wrong == 0 ? 0 : 1);
    }
}
